/** An item as the API sends it from release 2 on: what was called `price` is called `amount`. */
export interface Item {
  amount: number;
}

export const costOf = (item: Item): number => item.amount;
