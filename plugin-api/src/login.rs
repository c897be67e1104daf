//! A login: the keys `user` and `password` of a configuration.

use crate::{AgentError, Secret};

/// Name and password, which are given together or not at all.
#[derive(Clone, Debug)]
pub struct Login {
    /// The key `user`.
    pub user: String,
    /// The key `password`.
    pub password: Secret,
}

impl Login {
    /// Takes both keys; `None` if there is to be no login.
    ///
    /// Errors: kind `config`, at the key, when one stands alone or is empty.
    pub fn of(user: Option<&String>, password: Option<&Secret>) -> Result<Option<Self>, AgentError> {
        let (user, password) = match (user, password) {
            (Some(user), Some(password)) => (user, password),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(AgentError::config("user", "needs `password` beside it")),
            (None, Some(_)) => return Err(AgentError::config("password", "needs `user` beside it")),
        };
        let login = Self { user: user.clone(), password: password.clone() };
        login.each(|key, value| if value.is_empty() { Err(AgentError::config(key, "is empty")) } else { Ok(()) })?;
        Ok(Some(login))
    }

    /// Refuses characters that the protocol cannot carry; `named` says which these are.
    ///
    /// Errors: kind `config`, at the key.
    pub fn without(self, characters: &[char], named: &str) -> Result<Self, AgentError> {
        self.each(|key, value| match value.contains(characters) {
            true => Err(AgentError::config(key, format!("cannot contain {named}"))),
            false => Ok(()),
        })?;
        Ok(self)
    }

    fn each(&self, check: impl Fn(&str, &str) -> Result<(), AgentError>) -> Result<(), AgentError> {
        check("user", &self.user)?;
        check("password", self.password.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user: Option<&str>, password: Option<&str>, expected: Result<bool, (&str, &str)>) {
        let (user, password) = (user.map(str::to_owned), password.map(Secret::new));
        let login = Login::of(user.as_ref(), password.as_ref());
        let login = login.and_then(|login| login.map(|login| login.without(&['\0'], "a NUL character")).transpose());
        let found = login.map(|login| login.is_some()).map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        assert_eq!(found, expected.map_err(|(key, message)| (key.to_owned(), message.to_owned())));
    }

    #[test]
    fn a_login_is_a_name_and_a_password_or_nothing() {
        check(Some("u"), Some("p"), Ok(true));
        check(None, None, Ok(false));
        check(Some("u"), None, Err(("user", "needs `password` beside it")));
        check(None, Some("p"), Err(("password", "needs `user` beside it")));
        check(Some(""), Some("p"), Err(("user", "is empty")));
        check(Some("u"), Some(""), Err(("password", "is empty")));
    }

    #[test]
    fn what_the_protocol_cannot_carry_is_refused_at_its_key() {
        check(Some("a\0b"), Some("p"), Err(("user", "cannot contain a NUL character")));
        check(Some("u"), Some("a\0b"), Err(("password", "cannot contain a NUL character")));
    }
}
