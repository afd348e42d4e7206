// The pictures, by product. Written this way the addresses are found and fingerprinted by every bundler.

export const images = {
  backpack: new URL('./images/backpack.svg', import.meta.url).href,
  chair: new URL('./images/chair.svg', import.meta.url).href,
  clock: new URL('./images/clock.svg', import.meta.url).href,
  lamp: new URL('./images/lamp.svg', import.meta.url).href,
  mug: new URL('./images/mug.svg', import.meta.url).href,
  notebook: new URL('./images/notebook.svg', import.meta.url).href,
  plant: new URL('./images/plant.svg', import.meta.url).href,
  teapot: new URL('./images/teapot.svg', import.meta.url).href,
};
