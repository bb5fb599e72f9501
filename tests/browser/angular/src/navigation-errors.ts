import { withNavigationErrorHandler } from "@angular/router";
import { recover } from "skew-guard-client";

export const leaving = withNavigationErrorHandler(({ error }) => void recover(error));
