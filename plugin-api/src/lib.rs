//! All that an agent's author needs.
