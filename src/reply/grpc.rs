//! "Reload" in the words of gRPC and gRPC-web.

use crate::request::Grpc;

/// Headers and their values.
pub type Headers = Vec<(&'static str, String)>;

/// FAILED_PRECONDITION: unlike UNAVAILABLE (14), no client retries it
/// ([gRPC status codes](https://grpc.io/docs/guides/status-codes/)).
pub const FAILED_PRECONDITION: u32 = 9;

/// What is wrong, for whoever reads the message.
pub const MESSAGE: &str = "client_outdated";

/// A gRPC-web frame of trailers: a flag byte, the length in four bytes, and the trailers as header lines
/// ([gRPC-web protocol](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md)).
const TRAILERS: &[u8] = b"\x80\x00\x00\x00\x2dgrpc-status:9\r\ngrpc-message:client_outdated\r\n";

/// The same frame in the text format, which is base64.
const TRAILERS_AS_TEXT: &[u8] =
    b"gAAAAC1ncnBjLXN0YXR1czo5DQpncnBjLW1lc3NhZ2U6Y2xpZW50X291dGRhdGVkDQo=";

/// The status as headers: native gRPC's answer without a body, and what a gRPC-web client may read
/// before it reads the frame.
pub fn status() -> Headers {
    vec![
        ("grpc-status", FAILED_PRECONDITION.to_string()),
        ("grpc-message", MESSAGE.to_owned()),
    ]
}

/// Content type and body of an answer to gRPC-web; `None` for native gRPC, whose replies Envoy makes.
pub fn web(dialect: Grpc) -> Option<(&'static str, &'static [u8])> {
    match dialect {
        Grpc::Native => None,
        Grpc::Web => Some(("application/grpc-web+proto", TRAILERS)),
        Grpc::WebText => Some(("application/grpc-web-text+proto", TRAILERS_AS_TEXT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_says_its_length() {
        let (head, trailers) = TRAILERS.split_at(5);
        assert_eq!(head, [0x80, 0, 0, 0, trailers.len() as u8]);
        let said = format!("grpc-status:{FAILED_PRECONDITION}\r\ngrpc-message:{MESSAGE}\r\n");
        assert_eq!(trailers, said.as_bytes());
    }

    #[test]
    fn the_text_format_is_the_frame_in_base64() {
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD.decode(TRAILERS_AS_TEXT);
        assert_eq!(decoded.as_deref(), Ok(TRAILERS));
    }
}
