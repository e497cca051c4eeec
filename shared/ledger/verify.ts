import { formatOf, parseCanonical } from './canonical.ts';
