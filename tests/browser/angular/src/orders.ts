import { Component } from '@angular/core';

declare const __SKEW_GUARD_VERSION__: string;

@Component({ selector: 'shop-orders', template: '<p>Orders of <b id="orders-of">{{ version }}</b></p>' })
export default class Orders {
  version = __SKEW_GUARD_VERSION__;
}
