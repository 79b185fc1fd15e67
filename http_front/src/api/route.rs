//! The table of routes.

use http1::Method;

/// A resource of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Register,
    Authenticate,
    Products,
    Session,
    Logout,
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
            _ => return None,
        })
    }

    /// What `Allow` says.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Products | Self::Session => "GET, HEAD",
            Self::Register | Self::Authenticate | Self::Logout => "POST",
        }
    }

    pub(super) fn allows(self, method: Method) -> bool {
        match self {
            Self::Products | Self::Session => matches!(method, Method::Get | Method::Head),
            Self::Register | Self::Authenticate | Self::Logout => method == Method::Post,
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
