import { killTest } from './kill.ts';

killTest('TokenRotates');
