// What this release says of itself.

export const release = {
  key: 'two',
  title: 'Release two',
  greeting: 'Find your favourite',
};

export const extraRoutes = [{ path: /^\/favourites$/, load: () => import('./routes/favourites.js') }];
export const extraLinks = [{ href: '/favourites', text: 'Favourites' }];
