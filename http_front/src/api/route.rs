//! The table of routes.

use http1::Method;

/// A resource of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Register,
    Authenticate,
    Products,
    Session,
    Sessions,
    Logout,
    RevokeSession,
    ChangePassword,
}

impl Route {
    /// The resource at `path`; a path that is longer or shorter by anything is another one.
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/open_api/v1/")? {
            "products" => Self::Products,
            "session" => Self::Session,
            "authenticate" => Self::Authenticate,
            "register" => Self::Register,
            "logout" => Self::Logout,
            "sessions" => Self::Sessions,
            "revoke_session" => Self::RevokeSession,
            "change_password" => Self::ChangePassword,
            _ => return None,
        })
    }

    /// Which methods it has, as a field.
    pub(super) fn allow(self) -> &'static (&'static str, &'static str) {
        if self.is_read() { &("Allow", "GET, HEAD") } else { &("Allow", "POST") }
    }

    pub(super) fn allows(self, method: Method) -> bool {
        match method {
            Method::Get | Method::Head => self.is_read(),
            Method::Post => !self.is_read(),
            _ => false,
        }
    }

    /// Whether it changes nothing.
    fn is_read(self) -> bool {
        match self {
            Self::Products | Self::Session | Self::Sessions => true,
            Self::Register
            | Self::Authenticate
            | Self::Logout
            | Self::RevokeSession
            | Self::ChangePassword => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<Route>) {
        assert_eq!(Route::at(path), expected, "{path}");
    }

    #[test]
    fn paths_are_exact() {
        check("/open_api/v1/register", Some(Route::Register));
        check("/open_api/v1/products", Some(Route::Products));
        check("/open_api/v1/session", Some(Route::Session));
        check("/open_api/v1/sessions", Some(Route::Sessions));
        check("/open_api/v1/products/", None);
        check("/open_api/v1//products", None);
        check("/open_api/v1/PRODUCTS", None);
        check("/open_api/v1/product", None);
        check("/open_api/v1/%70roducts", None);
        check("/open_api/v2/products", None);
        check("/", None);
        check("*", None);
    }
}
