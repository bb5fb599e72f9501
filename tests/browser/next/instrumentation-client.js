import { install } from "skew-guard-client";

install({ version: process.env.NEXT_DEPLOYMENT_ID });

// How often this tab has loaded a page of the shop.
sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1;
