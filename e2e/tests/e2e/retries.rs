//! `docs/retries.md`: how a client finds out whether a request took effect of which it has no answer.

use e2e::System;
use serde_json::json;

use crate::PASSWORD;

const OTHER: &str = "staple battery horse";

/// Each request takes effect, its answer is lost, and the client does what the page says.
#[test]
fn whether_a_request_took_effect_can_be_found_out() {
    let system = System::start();
    let user = system.client();
    // register: 409, and the password says whose account it is.
    user.register("ada", PASSWORD).assert_status(200);
    user.register("ada", PASSWORD).assert_status(409);
    user.register("ada", OTHER).assert_status(409);
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.authenticate("ada", OTHER).assert_status(401);
    // authenticate: a second session.
    let token = user.log_in("ada", PASSWORD);
    let sessions = user.sessions(&token).assert_status(200).json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(2));
    // revoke_session: it is not in the list any more.
    let all = sessions["sessions"].as_array().expect("a list");
    let another = all.iter().find(|session| session["current"] == json!(false)).expect("another");
    let id = another["id"].as_str().expect("a text").to_owned();
    user.revoke_session(&token, &id).assert_status(200);
    assert!(!user.sessions(&token).assert_status(200).text().contains(&id));
    user.revoke_session(&token, &id).assert_status(404);
    // change_password: the new one gets in, the old one does not.
    user.change_password(&token, PASSWORD, OTHER).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(401);
    let token = user.log_in("ada", OTHER);
    // logout of all, and of one: the token is over.
    user.logout_everywhere(&token).assert_status(200);
    user.session(&token).assert_status(401);
    let token = user.log_in("ada", OTHER);
    user.logout(&token).assert_status(200);
    user.logout(&token).assert_status(200);
    user.session(&token).assert_status(401);
}
