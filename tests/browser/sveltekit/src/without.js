// How often this tab has loaded a page of the shop.
sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1;
