import { recover } from "skew-guard-client";

addEventListener("vite:preloadError", (event) => void recover(event.payload));
