//! The macro that builds a struct from checked values and reports every fault among them.

/// Builds a struct of results: every field is evaluated, and every error among them is kept.
///
/// `gather!(Checked { listen: raw.address("listen"), .. })` is `Ok(Checked { .. })` when all fields are
/// `Ok`, otherwise the [`SettingErrors`](crate::settings::SettingErrors) of all of them. With `?` in
/// its place an operator would learn of one fault at each start. A field may itself be `gather!`.
#[macro_export]
macro_rules! gather {
    ($($target:ident)::+ { $($field:ident : $value:expr),+ $(,)? }) => {{
        let mut faults = $crate::settings::SettingErrors::none();
        $( let $field = faults.keep($value); )+
        match ($($field,)+) {
            ($(::core::option::Option::Some($field),)+) => {
                ::core::result::Result::Ok($($target)::+ { $($field),+ })
            }
            _ => ::core::result::Result::Err(faults),
        }
    }};
}
