import { Api } from './Api.js';
import { Notices } from './Notices.js';
import { Page } from './Page.js';

const place = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
};

const page = new Page({
  api: new Api(),
  top: place('top'),
  main: place('main'),
  notices: new Notices(place('notices')),
});
void page.start();
