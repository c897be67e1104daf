//! How each kind of server is asked, and what it says, as samples.

mod bind;
mod directory;
mod doveadm;
mod page;
mod url;
mod xml;

use watchpost_directory::Directory;
use watchpost_plugin_api::{AgentError, Cx, Laps, Needs};

pub(crate) use page::Page;
pub(crate) use url::Url;

use crate::map::Tally;

/// Who is asked.
pub(crate) enum Asked {
    /// A directory, by LDAP.
    Directory(Box<Directory>),
    /// Everything else, by HTTP.
    Page(Box<Page>),
}

impl Asked {
    /// Tells what asking touches.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Directory(directory) => directory.needs(),
            Self::Page(page) => page.needs(),
        }
    }

    /// Asks, and gives every sample to the tally.
    pub(crate) async fn ask(&mut self, cx: &Cx, laps: &mut Laps<'_>, tally: &mut Tally<'_>) -> Result<(), AgentError> {
        match self {
            Self::Directory(directory) => directory::ask(directory, cx, laps, tally).await,
            Self::Page(page) => page.ask(cx, laps, tally).await,
        }
    }
}
