// What this release says of itself.

export const release = {
  key: 'one',
  title: 'Release one',
  greeting: 'Things that last',
};

// Routes and links that only this release has.
export const extraRoutes = [];
export const extraLinks = [];
