import { Component } from '@angular/core';

@Component({ selector: 'shop-checkout', template: '<p>lazily loaded</p>' })
export default class Checkout {}
