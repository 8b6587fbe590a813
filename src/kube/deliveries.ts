import { secretTypes } from '../api/names.ts';
import { plus, minute } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { invalidFields, isNamespaceLeaving, refusingPolicy, toError } from './classify.ts';
import type { ApiConnection, ApiResponse } from './connection.ts';
import { call, kinds, subjectOf } from './resources.ts';

/** The content of one delivery Secret: the whole of it is written every time. */
export interface Delivery {
  readonly namespace: string;
  readonly name: string;
  /** File name → text; kept as UTF-8. */
  readonly data: Readonly<Record<string, string>>;
  /** The pod that the Secret goes with. */
  readonly pod: { readonly name: string; readonly uid: string };
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * What is known of the Secret that is there, which nobody may read. `Nothing`: most often the pod is new, so creating comes first and is one
 * call. `Written`: another leader wrote it, so replacing comes first.
 */
export type LastDelivery = 'Nothing' | 'Written' | { readonly resourceVersion: string };

/** Writes delivery Secrets into agent namespaces and never reads them: there is no right to. */
export class Deliveries {
  readonly #connection: ApiConnection;

  constructor(connection: ApiConnection) {
    this.#connection = connection;
  }

  /**
   * Writes the Secret, whole; idempotent: equal bytes change nothing, not even the resourceVersion. With the version that this process wrote
   * `last`, anybody else's write in between is OperatorError Conflict; without it whatever is there is overwritten. A Secret that is gone is
   * created again. Throws `NamespaceTerminating` when the namespace goes or is gone, `DeliveryRefused` when a Secret of another
   * type has the name or a policy refuses, otherwise what toError says.
   */
  async put(
    delivery: Delivery,
    last: LastDelivery,
    signal: AbortSignal,
  ): Promise<{ readonly resourceVersion: string }> {
    const send = this.#sender(delivery, signal);
    const attempt = await (last === 'Nothing'
      ? this.#createOrReplace(send)
      : this.#replaceOrCreate(send, last === 'Written' ? undefined : last.resourceVersion));
    return written(attempt, delivery);
  }

  /** Likewise, but creates nothing. `undefined`: there is no such Secret. */
  async replace(
    delivery: Delivery,
    last: LastDelivery,
    signal: AbortSignal,
  ): Promise<{ readonly resourceVersion: string } | undefined> {
    const attempt = await this.#sender(delivery, signal)(
      'update',
      typeof last === 'object' ? last.resourceVersion : undefined,
    );
    const isGone = attempt.response.status === 404 && !isNamespaceLeaving(attempt.response);
    return isGone ? undefined : written(attempt, delivery);
  }

  #sender(delivery: Delivery, signal: AbortSignal): Send {
    const { namespace, name } = delivery;
    return async (verb, version) => {
      const method = verb === 'create' ? 'POST' : 'PUT';
      const place = verb === 'create' ? { namespace } : { namespace, name };
      return {
        verb,
        response: await call(this.#connection, method, kinds.secrets, place, secretOf(delivery, version), { signal }),
      };
    };
  }

  async #createOrReplace(send: Send): Promise<Attempt> {
    const created = await send('create');
    const mayExist =
      created.response.status === 409 || (created.response.status === 403 && !isNamespaceLeaving(created.response));
    if (!mayExist) return created;
    // A quota refuses creation before anybody looks whether the Secret is there already.
    const replaced = await send('update');
    return replaced.response.status === 404 ? created : replaced;
  }

  async #replaceOrCreate(send: Send, last: string | undefined): Promise<Attempt> {
    const replaced = await send('update', last);
    return replaced.response.status === 404 ? this.#createOrReplace(send) : replaced;
  }
}

type Verb = 'create' | 'update';
type Send = (verb: Verb, version?: string) => Promise<Attempt>;

interface Attempt {
  readonly verb: Verb;
  readonly response: ApiResponse;
}

/** The version that was written. */
function written({ verb, response }: Attempt, delivery: Delivery): { readonly resourceVersion: string } {
  if (response.status >= 300) throw refusal(response, verb, delivery);
  const { metadata } = response.body as { readonly metadata: { readonly resourceVersion: string } };
  return { resourceVersion: metadata.resourceVersion };
}

function secretOf(delivery: Delivery, resourceVersion: string | undefined): unknown {
  const { namespace, name, pod, labels, data } = delivery;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace,
      name,
      ...(labels === undefined ? {} : { labels }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid }],
    },
    type: secretTypes.token,
    data: Object.fromEntries(
      Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'utf8').toString('base64')]),
    ),
  };
}

function refusal(response: ApiResponse, verb: Verb, { namespace, name }: Delivery): Error {
  const subject = `delivery Secret ${namespace}/${name}`;
  const waiting = (reason: 'NamespaceTerminating' | 'DeliveryRefused', why: string): OperatorError =>
    new OperatorError({ class: 'Waiting', reason, message: `${subject}: ${why}`, retryAt: plus(response.at, minute) });
  if (isNamespaceLeaving(response))
    return waiting('NamespaceTerminating', 'the namespace is being deleted or gone, so nothing is delivered');
  const otherType = response.status === 422 && invalidFields(response).includes('type');
  if (otherType) return waiting('DeliveryRefused', `a Secret of another type has this name; delete it`);
  const policy = response.status === 403 ? refusingPolicy(response) : undefined;
  if (policy !== undefined) {
    return waiting(
      'DeliveryRefused',
      `ValidatingAdmissionPolicy ${policy} refuses it (403); delete the Secret if it has another type than ${secretTypes.token}, and compare the policy with the one that is shipped`,
    );
  }
  const call = verb === 'create' ? { namespace } : { namespace, name };
  return toError(response, subjectOf(verb, kinds.secrets, call));
}
