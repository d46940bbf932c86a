// The package brings no types.
declare module 'd3-scale-chromatic' {
  export function interpolateWarm(share: number): string;
}
