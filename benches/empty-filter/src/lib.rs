//! A Proxy-Wasm filter that does nothing, which `make bench` compares with skew-guard: what the SDK and the host cost
//! alone, whatever the filter does.

#[cfg(target_arch = "wasm32")]
mod contexts {
    use proxy_wasm::traits::{Context, HttpContext, RootContext};
    use proxy_wasm::types::{ContextType, LogLevel};

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(Root));
    }}

    struct Root;

    impl Context for Root {}

    impl RootContext for Root {
        fn get_type(&self) -> Option<ContextType> {
            Some(ContextType::HttpContext)
        }

        fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
            Some(Box::new(Stream))
        }
    }

    struct Stream;

    impl Context for Stream {}

    impl HttpContext for Stream {}
}
