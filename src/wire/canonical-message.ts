/**
 * One encoding for equal messages. Protobuf promises none: fields come in the order of their numbers here, but the entries
 * of a map in the order in which somebody wrote them, and a question is not another one for that.
 */
import { clone, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

const withMaps = new WeakMap<DescMessage, boolean>();

/** Unknown fields stay as they came. The message is not changed. */
export function canonicalBytes(desc: DescMessage, message: Message): Uint8Array {
  if (!holdsMaps(desc)) return toBinary(desc, message);
  const sorted = reflect(desc, clone(desc, message));
  sortMaps(sorted);
  return toBinary(desc, sorted.message);
}

/** Whether there is a map in it, however deep. */
function holdsMaps(desc: DescMessage): boolean {
  const known = withMaps.get(desc);
  if (known !== undefined) return known;
  const seen = new Set<DescMessage>();
  const search = (one: DescMessage): boolean => {
    if (seen.has(one)) return false;
    seen.add(one);
    return one.fields.some((field) => field.fieldKind === "map" || (field.message && search(field.message)));
  };
  const found = search(desc);
  withMaps.set(desc, found);
  return found;
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "map") {
      sortMap(message.get(field));
    } else if (field.message !== undefined && holdsMaps(field.message)) {
      if (field.fieldKind === "list") {
        const list = message.get(field) as ReflectList<ReflectMessage>;
        for (let i = 0; i < list.size; i++) list.set(i, sorted(list.get(i) as ReflectMessage));
      } else {
        // Set anew: what is read of a google.protobuf.Struct is a copy.
        message.set(field, sorted(message.get(field) as ReflectMessage));
      }
    }
  }
}

function sorted(message: ReflectMessage): ReflectMessage {
  sortMaps(message);
  return message;
}

function sortMap(map: ReflectMap): void {
  const isOfMessages = map.field().mapKind === "message";
  const entries = [...map].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  map.clear();
  for (const [key, value] of entries) map.set(key, isOfMessages ? sorted(value as ReflectMessage) : value);
}
