//! A server that dies and comes back, and the job that measures it.

use watchpost_testkit::ClosedPort;

use crate::harness::{House, greeter::serve_on};

/// A port on which nobody listens, until somebody does.
pub(crate) struct Server {
    door: Option<ClosedPort>,
    port: u16,
}

impl Server {
    pub(crate) fn down() -> Self {
        let door = ClosedPort::take().unwrap();
        let port = door.port().unwrap();
        Self { door: Some(door), port }
    }

    /// A job that measures it every second, and is an alarm when it is down.
    pub(crate) fn job(&self, more: &str) -> String {
        format!(
            "[[job]]\nname = \"mx\"\nagent = \"smtp\"\nevery = \"1s\"\nlabels = {{ site = \"paris\" }}\n\
             config = {{ host = \"127.0.0.1\", port = {} }}\n\
             [[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\n{more}",
            self.port
        )
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Gives up the port, for somebody else to listen on.
    pub(crate) fn opened(mut self) -> u16 {
        drop(self.door.take());
        self.port
    }

    /// Serves until the test ends.
    pub(crate) fn comes_up(&mut self) {
        drop(self.door.take());
        serve_on(self.port);
    }
}

/// A house with a server that is down, and these channels and routes.
pub(crate) fn house(server: &Server, channels: &str) -> House {
    let house = House::new(&server.job(""));
    house.add_to_main(channels);
    house
}
