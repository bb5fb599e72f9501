/** An item as the API sends it from release 2 on: `price` has become `amount`. */
export interface Item {
  amount: number;
}

export const costOf = (item: Item): number => item.amount;
