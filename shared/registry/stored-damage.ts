/**
 * What is stored is not what was written: an item lacks something, or is gone. Items are written
 * whole and read consistently, so nothing that is still to come mends it.
 */
export class StoredDamage extends Error {
  override readonly name = 'StoredDamage';
}
