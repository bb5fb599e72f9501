import "skew-guard-client/auto";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { Link, Outlet, createBrowserRouter } from "react-router";
import { RouterProvider } from "react-router/dom";
import "./kinds.js";
import { Cart, queries } from "./Cart.jsx";
import { RouteError } from "./RouteError.jsx";
import { UpdateBanner } from "./UpdateBanner.jsx";
import "./style.css";

// How often this tab has loaded a page of the shop.
sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1;

function Shop() {
  return (
    <>
      <UpdateBanner />
      <h1>
        Shop <b id="page">{SHOP_VERSION}</b>
      </h1>
      <nav>
        <Link id="home" to="/">Cart</Link> <Link id="orders" to="/orders?page=2#last">Orders</Link>
      </nav>
      <input id="note" placeholder="A note to the seller" />
      <Outlet />
    </>
  );
}

const router = createBrowserRouter([
  {
    element: <Shop />,
    children: [
      {
        errorElement: <RouteError />,
        children: [
          { path: "/orders", lazy: () => import("./orders.jsx") },
          { path: "*", element: <Cart /> },
        ],
      },
    ],
  },
]);

createRoot(document.querySelector("#root")).render(
  <QueryClientProvider client={queries}>
    <RouterProvider router={router} />
  </QueryClientProvider>,
);

if (SHOP_PWA) import("./pwa.js");
if (location.search === "?event") import("./recover.js");
