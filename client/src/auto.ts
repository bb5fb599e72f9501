import { install } from "./install.js";
import { builtVersion } from "./version.js";

// A development server has no version.
if (builtVersion() !== "") install();
