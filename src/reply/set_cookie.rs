//! The lines that write a visitor's pin cookie, and take it away.

use crate::pin::{Bucket, PinCookie, SameSite};
use crate::version::Version;

/// The `Set-Cookie` line that pins a visitor to a version.
pub fn pinning(cookie: &PinCookie, bucket: Option<Bucket>, version: &Version) -> String {
    let bucket = bucket.map_or_else(String::new, |bucket| format!("{:08x}~", bucket.0));
    let mut line = format!("{}={bucket}{version}", cookie.name);
    if let Some(seconds) = cookie.max_age_seconds {
        line += &format!("; Max-Age={seconds}");
    }
    line + &attributes(cookie)
}

/// The `Set-Cookie` line that takes a visitor's pin away, bucket included.
pub fn expiring(cookie: &PinCookie) -> String {
    format!("{}=; Max-Age=0{}", cookie.name, attributes(cookie))
}

fn attributes(cookie: &PinCookie) -> String {
    let domain = cookie
        .domain
        .as_ref()
        .map_or_else(String::new, |domain| format!("; Domain={domain}"));
    let same_site = match cookie.same_site {
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let secure = if cookie.secure { "; Secure" } else { "" };
    format!(
        "{domain}; Path={}; SameSite={same_site}{secure}; HttpOnly",
        cookie.path
    )
}
