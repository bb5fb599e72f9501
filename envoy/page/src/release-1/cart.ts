/** An item as the API of release 1 sends it: in cents. */
export interface Item {
  price: number;
}

export const costOf = (item: Item): number => item.price;
