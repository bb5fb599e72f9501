import { Component } from '@angular/core';
import { bootstrapApplication } from '@angular/platform-browser';
import { RouterLink, RouterOutlet, provideRouter } from '@angular/router';

@Component({
  selector: 'shop-root',
  imports: [RouterLink, RouterOutlet],
  template: '<a routerLink="/checkout">Check out</a><router-outlet />',
})
class Shop {}

const routes = [{ path: 'checkout', loadComponent: () => import('./checkout') }];

bootstrapApplication(Shop, { providers: [provideRouter(routes)] });
