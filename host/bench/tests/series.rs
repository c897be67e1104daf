//! The bench of series in small: the same samples make the same files whoever writes them, and of ours a crash takes none.

use std::process::Command;

#[test]
fn ours_rrdtool_and_rrdcached_write_the_same_files_and_a_kill_takes_nothing_of_ours() {
    let folder = std::env::temp_dir().join(format!("watchpost-bench-series-{}", std::process::id()));
    let program = std::env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples/series");
    let missing = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
    // The one that only benches need stays out.
    let without = missing.split_whitespace().chain(["collectd-core"]);
    let output = Command::new(program).arg("peers").arg(&folder).args(["12", "70", "1"]).args(without).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(name))?;
        let figures = row.split_whitespace().rev().take(2).map(|word| word.parse().unwrap()).collect::<Vec<u64>>();
        Some((figures[1], figures[0]))
    };
    assert_eq!(row("watchpost"), Some((840, 0)), "{table}");
    for (package, name) in [("rrdtool", "rrdtool -"), ("rrdcached", "rrdcached")] {
        assert!(missing.contains(package) || row(name).is_some_and(|(acknowledged, _)| acknowledged == 840), "{table}");
    }
}
