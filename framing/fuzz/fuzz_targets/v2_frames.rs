//! v2: nothing panics, and the inbox hands out the same frames as the splitter, however the bytes
//! arrive. The first byte of the input is the size of the pieces.
#![no_main]

use framing::v2::{
    AuthenticateReply, ChangePasswordReply, CheckSessionReply, Hello, Inbox, ProductsReply, Request,
    SessionsReply, split_frame,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&piece, mut whole)) = input.split_first() else { return };
    let mut inbox = Inbox::new();
    for piece in whole.chunks(usize::from(piece).max(1)) {
        inbox.space()[..piece.len()].copy_from_slice(piece);
        inbox.filled(piece.len());
        while let Ok(Some(frame)) = inbox.next_frame() {
            let split = split_frame(whole).expect("as the inbox").expect("as the inbox");
            assert_eq!(frame, split.0);
            whole = &whole[split.1..];
            let _ = Request::decode(&frame);
            let _ = frame.answer::<Hello<'_>>();
            let _ = frame.answer::<CheckSessionReply<'_>>();
            let _ = frame.answer::<AuthenticateReply<'_>>();
            let _ = frame.answer::<ChangePasswordReply<'_>>();
            if let Ok(Ok(reply)) = frame.answer::<ProductsReply<'_>>() {
                reply.products.iter().for_each(drop);
            }
            if let Ok(Ok(reply)) = frame.answer::<SessionsReply<'_>>() {
                reply.sessions.iter().for_each(drop);
            }
        }
        if inbox.next_frame().is_err() {
            return;
        }
    }
});
