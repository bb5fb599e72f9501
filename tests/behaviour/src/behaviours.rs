//! The notation for a table of behaviours.

/// Makes a table: `behaviours()` returns all of its rows, and each is a test that calls `crate::fake_host::see`.
///
/// A row has a name, and for each configuration what is sent, what answers it (an empty JSON answer by
/// default), and what is expected:
///
/// ```text
/// behaviours! {
///     a_version_of_a_release_is_pinned {
///         under(shop()) {
///             call("1.4.2") => to("v1-4-2");
///             navigation("/"), html() => to("v2-0-0").lacks("vary");
///             for version in ["1.3.0", "9.9.9"] {
///                 call(version) => refused(409);
///             }
///         }
///     }
/// }
/// ```
#[expect(
    clippy::crate_in_macro_def,
    reason = "the suite that has the table has the fake host"
)]
#[macro_export]
macro_rules! behaviours {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident { $(under $configuration:tt { $($rows:tt)* })+ }
    )+) => {
        /// The behaviours of this table.
        pub fn behaviours() -> Vec<$crate::Behaviour> {
            vec![$($name::behaviour()),+]
        }

        $(
            $(#[doc = $doc])*
            mod $name {
                use super::*;

                pub fn behaviour() -> $crate::Behaviour {
                    let groups = vec![$({
                        let mut group = $crate::Group::under $configuration;
                        $crate::rows!(group $($rows)*);
                        group
                    }),+];
                    $crate::Behaviour { name: module_path!(), groups }
                }

                #[test]
                fn on_the_fake_host() {
                    crate::fake_host::see(&behaviour());
                }
            }
        )+
    };
}

/// The rows of one configuration.
#[doc(hidden)]
#[macro_export]
macro_rules! rows {
    ($group:ident) => {};
    ($group:ident for $each:pat_param in $list:tt { $($rows:tt)* } $($rest:tt)*) => {
        for $each in $list {
            $crate::rows!($group $($rows)*);
        }
        $crate::rows!($group $($rest)*);
    };
    ($group:ident let $name:pat_param = $value:expr; $($rest:tt)*) => {
        let $name = $value;
        $crate::rows!($group $($rest)*);
    };
    ($group:ident $request:expr => $expected:expr; $($rest:tt)*) => {
        $group.send($request, $crate::json(), $expected);
        $crate::rows!($group $($rest)*);
    };
    ($group:ident $request:expr, $upstream:expr => $expected:expr; $($rest:tt)*) => {
        $group.send($request, $upstream, $expected);
        $crate::rows!($group $($rest)*);
    };
}
