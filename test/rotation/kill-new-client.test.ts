import { killTest } from './kill.ts';

killTest('NewClient');
