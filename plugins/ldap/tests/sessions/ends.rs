//! How a session ends: with an unbind that nobody answers, whatever happened before.

use watchpost_plugin_api::standard::TOTAL_TIME;

use crate::*;

#[tokio::test]
async fn a_session_ends_with_an_unbind_and_waits_for_nobody() {
    let ended = run(whole().silence(), &json!({})).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard.len(), 3);
}

#[tokio::test]
async fn a_server_that_has_gone_before_the_unbind_is_forgiven() {
    for fault in [Script::cut, Script::reset] {
        let (ran, _) = run(fault(bound(1).then(found(2))), &json!({})).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.nanos(TOTAL_TIME), Some(sums::of_phases(&ran)));
    }
}

#[tokio::test]
async fn a_session_that_fails_is_left_with_an_unbind() {
    let script = bound(1).then(search_asked()).send(result(2, SEARCH, 32, "", &[])).then(unbound());
    let (ran, served) = run(script, &json!({})).await;
    assert_eq!(ran.failure().unwrap().0, "protocol");
    assert_eq!(served.broke, None);
}
