import "skew-guard-client/auto";
import "@fontsource-variable/inter";
import "./style.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { version } from "./version";

document.title = `Shop ${version}`;
createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
