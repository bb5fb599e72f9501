import "skew-guard-client/auto";
import { recover } from "skew-guard-client";

export function handleError({ error }) {
  void recover(error);
}

// How often this tab has loaded a page of the shop.
sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1;
