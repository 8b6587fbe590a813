import { killTest } from './kill.ts';

killTest('External');
