/** Compiles only where the argument has exactly the type asked for, or one assignable to it. */
export function expectType<T>(_value: T): void {}
