import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  UnsupportedMediaTypeException,
} from '@nestjs/common';

/** Accepts JSON bodies only. A form of another site can send a body with its visitor's cookies, but not as JSON. */
@Injectable()
export class JsonOnly implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: { 'content-type'?: string } }>();
    const type = headers['content-type'];
    // Without a type, no body is parsed.
    if (type !== undefined && !/^application\/json *(;|$)/i.test(type)) {
      throw new UnsupportedMediaTypeException('Expected a body of the type application/json');
    }
    return true;
  }
}
