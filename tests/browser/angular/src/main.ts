import { HttpClient, provideHttpClient } from '@angular/common/http';
import { Component, inject, signal } from '@angular/core';
import { bootstrapApplication } from '@angular/platform-browser';
import { RouterLink, RouterOutlet, provideRouter } from '@angular/router';
import { install, onUpdate } from 'skew-guard-client';
import { leaving } from './navigation-errors';

declare const __SKEW_GUARD_VERSION__: string;
// Not in the twin.
declare const WITH_CLIENT: boolean;

if (WITH_CLIENT) install();

// How often this tab has loaded a page of the shop.
sessionStorage['loads'] = Number(sessionStorage['loads'] ?? 0) + 1;

@Component({
  selector: 'shop-root',
  imports: [RouterLink, RouterOutlet],
  template: `
    <b id="page">{{ version }}</b> <i id="cart">{{ cart() }}</i> <i id="update">{{ update() }}</i>
    <a id="orders" routerLink="/orders" [queryParams]="{ page: 2 }" fragment="last">Orders</a>
    <router-outlet />
  `,
})
class Shop {
  version = __SKEW_GUARD_VERSION__;
  cart = signal('');
  update = signal('');

  constructor() {
    onUpdate((known) => this.update.set(known));
    const cart = inject(HttpClient).get<{ release: string }>('/api/cart');
    cart.subscribe(({ release }) => this.cart.set(release));
  }
}

const routes = [{ path: 'orders', loadComponent: () => import('./orders') }];

bootstrapApplication(Shop, {
  providers: [
    provideHttpClient(),
    provideRouter(routes, ...(WITH_CLIENT ? [leaving] : [])),
  ],
});
