import { killTest } from './kill.ts';

killTest('TwoKeys');
