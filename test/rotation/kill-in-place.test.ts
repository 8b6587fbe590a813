import { killTest } from './kill.ts';

killTest('InPlace');
