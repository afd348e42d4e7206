// What this release says of itself. It looks like an honest step after release two; its service is what is wrong.

export const release = {
  key: 'bad',
  title: 'Release three',
  greeting: 'Find your favourite, faster',
};

export const extraRoutes = [{ path: /^\/favourites$/, load: () => import('./routes/favourites.js') }];
export const extraLinks = [{ href: '/favourites', text: 'Favourites' }];
