//! Which TCP ports the programs of a job are given: a program that was denied one may keep the reason to itself.

use watchpost_plugin_api::Transport;
use watchpost_worker::confine::kernel::gaps;

use super::Job;

impl Job {
    /// The TCP ports that programs of the job are given, by rising number.
    ///
    /// Unknown: none where the job starts no program, or nothing holds one to its ports.
    pub fn ports_of_programs(&self) -> Option<Vec<u16>> {
        let needs = &self.examined.needs;
        let is_held = !needs.programs.is_empty() && self.plugin.is_sandboxed() && gaps().iter().all(|gap| gap.what != "TCP ports");
        let tcp = needs.ports.iter().filter(|port| port.transport == Transport::Tcp).map(|port| port.number);
        let mut ports: Vec<u16> = tcp.collect();
        ports.sort_unstable();
        is_held.then_some(ports)
    }
}
