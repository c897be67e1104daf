//! The web page: what other rooms decided, shown to a person. It needs no script, and trusts nothing that was measured.

mod asked;
mod house;
mod html;
mod job_row;
mod page;
pub(crate) mod readable;

pub use asked::Asked;
pub use house::House;
pub use page::{missing, page};

/// The style sheet, served beside the page so that the page may forbid all inline styles.
pub const STYLE: &str = include_str!("console/style.css");
