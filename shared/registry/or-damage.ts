import { StoredDamage } from './stored-damage.ts';

/** What the store answers, or that it cannot: whatever else goes wrong is thrown. */
export async function orDamage<T>(read: () => Promise<T>): Promise<T | StoredDamage> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof StoredDamage) return error;
    throw error;
  }
}
