import "./part.css";

export const part = SHOP_VERSION;
