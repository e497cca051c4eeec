export { mediaTypeOf } from './media-types.ts';
