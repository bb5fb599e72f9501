import "skew-guard-client/worker";

fetch("/api/kind/worker-fetch").then(() => postMessage("answered"));
